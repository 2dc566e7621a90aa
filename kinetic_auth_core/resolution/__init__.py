"""From a configuration to a source: `resolve`, `SourcePool`, and all that is wrong with a configuration."""
