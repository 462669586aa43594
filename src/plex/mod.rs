//! plex.tv and the servers.
