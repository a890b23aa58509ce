"""The Dynamics 365 pack: data only. `pack.toml` says what the platform sends and how it is known."""
