"""The settings of plugins: their schema, the accepted values, and ready-made settings."""
