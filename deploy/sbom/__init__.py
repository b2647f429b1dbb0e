"""Software bills of materials (CycloneDX) of both images: the packages of their lock files.

A bill has each package of the locks once, with the hashes of the files that the lock accepts, the licence that the
package declares, and its dependencies. cyclonedx-py reads licences and dependencies from an environment with the locked
versions. The same locks give the same bytes: no time stamp (unless SOURCE_DATE_EPOCH is set) and no serial number.
"""
