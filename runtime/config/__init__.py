"""entrepot.toml: `model` says what may stand there, `load` reads and explains, `assemble` makes it work."""
