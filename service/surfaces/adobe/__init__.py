"""Adobe Experience Platform's dialect: profile export jobs and the APIs around them."""
