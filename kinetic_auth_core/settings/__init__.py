"""The settings of plugins: their schema, the values that they take, and ready-made ones."""
