"""Files of networks: safetensors, with everything else as plain JSON in the header."""
