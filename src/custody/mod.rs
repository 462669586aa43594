//! The token at rest.
