"""What medicine has agreed on: code systems, units, limits and names; no patient data."""
