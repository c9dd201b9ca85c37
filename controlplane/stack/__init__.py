"""What stands behind `bin/demo` and `bin/test`: processes started, watched and ended; checks run one after another."""
