"""Models that run on the device, behind one port."""
