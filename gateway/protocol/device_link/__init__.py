"""What devices and the gateway say to one another over their WebSocket."""
