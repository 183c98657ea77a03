//! The faces as their readers meet them: over a real socket.
