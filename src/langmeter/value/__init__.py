"""What caches are worth: arithmetic on plain numbers, and the advisor that applies it to finished calls."""
