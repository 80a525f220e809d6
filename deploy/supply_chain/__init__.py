"""What is installed: hashes, bills of materials, and audits against advisories."""
