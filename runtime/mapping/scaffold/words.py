"""What platforms call things: spellings of several languages as one word, and the names that each leaf goes by."""

from __future__ import annotations

import re
import unicodedata

_SPELLINGS = {
    "id": "no nr num number nummer numero numer code ref reference key ident identifier identificador",
    "quantity": "qty quantity menge anzahl cantidad quantite quantita ilosc count units stueck pieces amountordered",
    "sku": "sku artikel article item product produkt producto produit articulo prodotto material partno part",
    "order": "order bestellung auftrag pedido commande ordine zamowienie purchaseorder orden",
    "shipment": "shipment sendung lieferung envio expedition spedizione consignment parcel fulfillment despatch dispatch",
    "tracking": "tracking track awb waybill barcode sendungsnummer trackingcode",
    "invoice": "invoice rechnung factura facture fattura faktura",
    "return": "return rma retoure devolucion retour reso",
    "receipt": "receipt wareneingang grn asn recepcion",
    "customer": "customer buyer client kunde cliente klient purchaser acheteur comprador",
    "recipient": "recipient consignee receiver empfaenger destinatario destinataire addressee shipto deliverto",
    "ship": "ship shipping delivery liefer livraison entrega",
    "bill": "bill billing billto invoicing",
    "supplier": "supplier vendor lieferant proveedor fournisseur fornitore",
    "sender": "sender shipper shipfrom absender remitente expediteur",
    "line": "line lines position pos positions positionen posicion posicao posizione items lineitems rows articles products lineas lignes entries",
    "price": "price preis precio prix prezzo cena",
    "total": "total sum summe amount betrag importe montant gesamt value",
    "net": "net netto neto subtotal",
    "gross": "gross brutto bruto grand",
    "tax": "tax vat mwst iva tva steuer",
    "currency": "currency waehrung moneda devise valuta waluta curr",
    "at": "at on date datum fecha data time timestamp zeit zeitpunkt ts datetime when am moment",
    "created": "created create creation erstellt placed new creado cree nuevo novo nuovo nouveau neu neue",
    "updated": "updated update changed modified geaendert",
    "cancelled": "cancelled canceled cancel storniert cancelado annule void",
    "event": "event topic action kind type typ message messagetype eventtype art tipo evento evenement ereignis",
    "name": "name nombre nom nome fullname",
    "email": "email mail correo courriel",
    "phone": "phone tel telefon telefono telephone mobile handy",
    "street": "street strasse str calle rue via address1 addressline1 addr line1 ulica road",
    "street2": "street2 address2 addressline2 line2",
    "city": "city town ort stadt ciudad ville citta miasto",
    "postal": "postal postcode zip plz zipcode cp postleitzahl",
    "country": "country land pais pays paese countrycode kraj",
    "region": "region state province bundesland provincia county",
    "warehouse": "warehouse lager site location depot standort almacen entrepot facility store",
    "unit": "unit uom einheit unidad unite measure",
    "weight": "weight gewicht peso poids",
    "gtin": "gtin ean upc barcode13",
    "lot": "lot batch charge lote",
    "status": "status state zustand estado statut milestone",
    "carrier": "carrier courier spediteur transportista transporteur frachtfuehrer",
    "remarks": "remarks remark note notes comment comments bemerkung hinweis observaciones nota",
    "description": "description beschreibung bezeichnung text title titel descripcion designation",
    "stock": "stock inventory bestand existencias level onhand available",
    "reason": "reason grund motivo motif",
    "message": "messageid delivery webhook notification",
    "due": "due faellig vencimiento echeance",
    "paid": "paid payment bezahlt zahlung pago paiement",
}  # fmt: skip
_COMPOUNDS = {
    "bestellnummer": "order id", "bestellnr": "order id", "auftragsnummer": "order id", "auftragsnr": "order id",
    "artikelnummer": "sku", "artikelnr": "sku", "itemcode": "sku", "productcode": "sku", "partnumber": "sku",
    "kundennummer": "customer id", "kundennr": "customer id", "rechnungsnummer": "invoice id", "orderid": "order id",
    "orderno": "order id", "ordernumber": "order id", "trackingnumber": "tracking id", "trackingno": "tracking id",
    "lieferdatum": "ship at", "bestelldatum": "order at", "sendungsnummer": "tracking id", "messageid": "message id",
    "eventid": "event id", "uuid": "event id", "guid": "event id", "shipto": "recipient", "billto": "bill",
    "unitprice": "unit price", "einzelpreis": "unit price", "lineitems": "line", "onhand": "stock quantity",
}  # fmt: skip
WORDS: dict[str, tuple[str, ...]] = {
    spelling: (word,) for word, all_of in _SPELLINGS.items() for spelling in (word, *all_of.split())
}
WORDS |= {compound: tuple(words.split()) for compound, words in _COMPOUNDS.items()}

_NAMES = {
    "occurred_at": "occurred at, event at, at, created at, order at, updated at, created, sent at, status at",
    "order_id": "order id, order, id",
    "shipment_id": "shipment id, shipment, id",
    "invoice_id": "invoice id, invoice, id",
    "credit_id": "credit id, id",
    "return_id": "return id, return, id",
    "receipt_id": "receipt id, receipt, id",
    "document_id": "document id, document, id",
    "partner_id": "partner id, customer id, supplier id, id",
    "party_id": "customer id, party id, id, supplier id",
    "line_id": "line id, line, id",
    "sku": "sku, sku id",
    "quantity": "quantity",
    "on_hand": "on hand, stock quantity, quantity, stock",
    "delta": "delta, difference, change, quantity",
    "price": "price, unit price",
    "unit_price": "unit price, price, price unit",
    "line_total": "line total, total",
    "gross_total": "gross total, total, gross, order total, total price",
    "net_total": "net total, net",
    "tax_total": "tax total, tax",
    "amount": "paid total, total",
    "tracking_number": "tracking id, tracking, shipment id",
    "customer_reference": "customer id, customer order id, purchase id, po id",
    "location_id": "warehouse id, warehouse",
    "requested_at": "requested at, required at, wanted at, ship at",
    "estimated_at": "estimated at, eta, expected at",
    "description": "description, name, sku description, sku name",
    "name": "name, sku name, company, full name",
    "postal_code": "postal id, postal",
    "street": "street, address",
    "milestone": "status id, status, event, tracking status",
    "carrier_code": "status id",
    "carrier_text": "status description, description",
    "issued_on": "invoice at, issued at",
    "due_on": "due at, due",
    "paid_on": "paid at",
    "unit": "unit, unit id",
    "bin": "bin, shelf",
    "remarks": "remarks",
    "channel": "channel, sales channel, source",
    "reason_code": "reason id, reason",
}

PARTIES = {
    "ship_to": {"recipient", "ship", "destination"},
    "customer": {"customer"},
    "bill_to": {"bill"},
    "supplier": {"supplier"},
    "ship_from": {"sender", "origin"},
    "payer": {"payer", "customer"},
    "place": {"place", "warehouse", "city"},
}
"""A field of a type that holds a party → words that must stand on the way to its values."""
OF_PARTIES = frozenset({"customer", "recipient", "ship", "bill", "supplier", "sender"})
LISTS = {
    "lines": {"line", "sku", "order"},
    "packages": {"package", "packages", "parcels", "shipment"},
    "taxes": {"tax"},
}
EVENTS = {
    "created": {"created"},
    "changed": {"updated"},
    "cancelled": {"cancelled"},
    "dispatched": {"dispatched", "shipped", "shipment", "fulfilled"},
    "milestone": {"tracking", "milestone", "scan"},
    "snapshot": {"snapshot", "stock"},
    "adjusted": {"adjusted", "adjustment", "correction", "delta"},
    "received": {"received", "receipt"},
    "posted": {"posted", "issued"},
    "paid": {"paid"},
    "credited": {"credit", "credited", "refund"},
    "requested": {"requested", "request"},
    "approved": {"approved"},
    "picked": {"picked", "pick"},
    "reserved": {"reserved", "allocation", "reservation"},
    "acknowledged": {"acknowledged", "confirmed", "ack"},
    "rejected": {"rejected", "error"},
}
"""Second part of a type's name → words that hint at it."""
CURRENCIES = frozenset(
    "EUR USD GBP CHF SEK NOK DKK PLN CZK HUF RON BGN TRY JPY CNY HKD SGD INR AUD NZD CAD MXN BRL ZAR AED SAR".split()
)

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def words_of(key: str) -> tuple[str, ...]:
    """A key of a message in our words: `orderNo`, `order_number` and `Bestellnummer` are all `order id`."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", _german(key)) if not unicodedata.combining(c))
    whole = re.sub(r"[^a-z0-9]", "", plain.lower())
    if whole in WORDS:
        return WORDS[whole]
    found = [word for part in _PART.findall(plain) for word in WORDS.get(part.lower(), (part.lower(),))]
    return tuple(dict.fromkeys(found))


def names_of(leaf: str) -> list[tuple[str, ...]]:
    """What a leaf goes by, the likeliest first."""
    given = _NAMES.get(leaf)
    return [tuple(name.split()) for name in given.split(", ")] if given else [words_of(leaf)]


def _german(key: str) -> str:
    for letter, pair in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("Ä", "Ae"), ("Ö", "Oe"), ("Ü", "Ue")):
        key = key.replace(letter, pair)
    return key
