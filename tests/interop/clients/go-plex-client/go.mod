module interop

go 1.19

require github.com/jrudio/go-plex-client v0.0.0-20250127195314-943dc7a39f7c
