# make install: headers, libfreshet.so, the binary; files for pkg-config and find_package.
