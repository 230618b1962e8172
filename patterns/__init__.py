"""Pattern memory: namespaces of vectors, searched by an int8 scan and reranked in float32."""
