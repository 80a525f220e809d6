"""Work at devices that another gateway replica holds, and what replicas tell each other."""
