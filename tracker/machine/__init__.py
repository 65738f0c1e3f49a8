"""What this machine and this installation are like."""
