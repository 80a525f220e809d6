"""Devices as members: registrations, leases, and work for them, at this replica or another."""
