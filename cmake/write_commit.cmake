# cmake -DSOURCE=FOLDER -DOUTPUT=FILE -P write_commit.cmake: a header that says which commit is built.
# Run by every build; the file changes only when the commit does, so nothing else is built anew.
cmake_policy(VERSION 3.25)
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT "#define DYAD_COMMIT \"@commit@\"\n" @ONLY)
