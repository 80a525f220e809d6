"""What people write to configure a part: its command line, its variables, addresses and YAML; and
what is wrong with them."""
