//! See echo.cpp.
