//! Tokens for other programs: who asks, and what servers give. What is decided is decided in
//! `plex_account_core::grants`.

mod callers;
mod desktop_entry;
pub mod fetch;
mod mint;
mod unit;

pub use callers::{Callers, Found, LookUpError, name_of_program};
pub use mint::Minter;
