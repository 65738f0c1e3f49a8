"""What all stages share: the loop, the state from step to step, processes, precision, logs."""
