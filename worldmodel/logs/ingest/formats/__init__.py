"""The formats that are read, a module or a package each: `worldmodel.logs.ingest.importer.Importer`."""
