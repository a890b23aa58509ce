"""What headquarters and a region say to each other about configuration, and what each may decide. Pure but for `slots`.

documents    the statements, and who signs them
signing      a statement, its signature, and the roles that may say it
"""
