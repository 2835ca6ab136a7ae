# dyad_library(NAME [dependencies...]): a static library of every .cc in the calling folder except
# main.cc. Folders and targets correspond one to one.
function(dyad_library name)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  list(FILTER sources EXCLUDE REGEX "(^|/)[a-z_]*main\\.cc$")
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC dyad_compiler ${ARGN} PRIVATE dyad_hardening)
endfunction()
