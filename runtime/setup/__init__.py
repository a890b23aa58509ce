"""The first run: what is asked, what is written from the answers, and where. Nothing that a person wrote is replaced."""
