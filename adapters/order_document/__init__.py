"""Orders that are canonical already: the documents of `POST /api/v1/orders`."""

from adapters.order_document.translate import OrderDocuments

TRANSLATOR = OrderDocuments()
