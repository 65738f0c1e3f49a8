"""Networks and what belongs to them. Imports torch and numpy only."""
