"""How much one engine gives under load with devices that draft, and without them."""
