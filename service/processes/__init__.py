"""Settings in, one service process or several on one port out."""
