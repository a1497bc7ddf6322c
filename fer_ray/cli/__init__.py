"""The `fer-ray` command: each command parses, makes one call of a public function, and prints."""
