"""The parts of a study: its plan, its files, pictures that carry their row, and their verification."""
