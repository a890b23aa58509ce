"""The SAP IDoc pack: data only. `pack.toml` says what the platform sends and how it is known."""
