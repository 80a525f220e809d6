"""What docker-compose.yml needs beside it: configuration, and secrets made on the machine."""
