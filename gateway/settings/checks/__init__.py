"""What is wrong with the settings, said before anything is started."""
