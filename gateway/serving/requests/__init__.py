"""What every request goes through, whichever way it is answered."""
