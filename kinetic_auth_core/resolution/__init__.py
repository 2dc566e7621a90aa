"""From a configuration to a source: `resolve`, `SourcePool`, and the problems of a configuration."""
