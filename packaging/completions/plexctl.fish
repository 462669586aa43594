complete --keep-order --exclusive --command plexctl --arguments "(PLEXCTL_COMPLETE=fish plexctl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
