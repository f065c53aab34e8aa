"""Ways of looking into a network, a module each; none imports another."""
