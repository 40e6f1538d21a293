"""Training recipes. Stands on `data`, `encoders` and `assistant`; nothing imports it but the command line."""
