"""The catalogue's TOML files; read by `pellucid._text`."""
