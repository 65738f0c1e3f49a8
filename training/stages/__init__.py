"""What a step and a measurement of each stage of training are, and what it starts from."""
