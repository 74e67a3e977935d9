"""The standard documents that schemas may refer to without anybody having registered them.

They are what public documents and samples compose their schemas of: behaviours, field groups and
data types of the Experience Data Model, each with the fields that its public description lists,
in short. They are written by hand after https://github.com/adobe/xdm (CC BY 4.0); what no known
client sends is left out, and a field that is missing here can be had by a field group of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

Document = Mapping[str, Any]
#: Documents by the ids others refer to them by. Each has its own ``$id``.
Known = Mapping[str, Document]

RECORD: Final = "https://ns.adobe.com/xdm/data/record"
TIME_SERIES: Final = "https://ns.adobe.com/xdm/data/time-series"
ADHOC: Final = "https://ns.adobe.com/xdm/data/adhoc"

_NS: Final = "https://ns.adobe.com/xdm/"
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
_WHOLE: Final = {"type": "integer"}
_NUMBER: Final = {"type": "number"}
_DAY: Final = {"type": "string", "format": "date"}
_INSTANT: Final = {"type": "string", "format": "date-time"}


def _texts(names: str, **others: Document) -> dict[str, Any]:
    """An object of texts, and of whatever else."""
    return _object(**dict.fromkeys(names.split(), _TEXT), **others)


def _object(**properties: Document) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(items: Document) -> dict[str, Any]:
    return {"type": "array", "items": items}


_MEASURE = _object(id=_TEXT, value=_NUMBER)
_CONSENT = _object(status=_TEXT, statusLastUpdate=_INSTANT, primary=_FLAG, label=_TEXT, type=_TEXT)
_GEO = _texts(
    "_id countryCode stateProvince city postalCode description msaID",
    dmaID=_WHOLE,
    _schema=_object(latitude=_NUMBER, longitude=_NUMBER, elevation=_NUMBER),
)
_ADDRESS = _texts(
    "label street1 street2 street3 street4 region postalCode city state stateProvince country"
    " countryCode postOfficeBox status statusReason lastVerifiedDate",
    primary=_FLAG,
    _schema=_object(latitude=_NUMBER, longitude=_NUMBER, description=_TEXT),
)
_EMAIL = _texts("address label type status statusReason", primary=_FLAG)
_PHONE = _texts("number extension countryCode status statusReason", primary=_FLAG, validity=_TEXT)
_NAME = _texts("firstName lastName middleName fullName courtesyTitle suffix")
_PERSON = _object(
    name=_NAME,
    birthDate=_DAY,
    birthDayAndMonth=_TEXT,
    birthDay=_WHOLE,
    birthMonth=_WHOLE,
    birthYear=_WHOLE,
    gender=_TEXT,
    maritalStatus=_TEXT,
    nationality=_TEXT,
    taxId=_TEXT,
)
_LOYALTY = _texts(
    "tier status program", loyaltyID=_list(_TEXT), points=_NUMBER, pointsRedeemed=_NUMBER,
    lifetimePoints=_NUMBER, joinDate=_INSTANT, upgradeDate=_INSTANT, tierExpiryDate=_INSTANT,
)  # fmt: skip
_ITEM = _object(
    SKU=_TEXT,
    name=_TEXT,
    _id=_TEXT,
    product=_TEXT,
    quantity=_WHOLE,
    currencyCode=_TEXT,
    priceTotal=_NUMBER,
    discountAmount=_NUMBER,
    unitOfMeasureCode=_TEXT,
    productImageUrl=_TEXT,
    productAddMethod=_TEXT,
)
_ORDER = _object(
    purchaseID=_TEXT,
    purchaseOrderNumber=_TEXT,
    currencyCode=_TEXT,
    priceTotal=_NUMBER,
    taxAmount=_NUMBER,
    discountAmount=_NUMBER,
    createdDate=_DAY,
    payments=_list(
        _object(transactionID=_TEXT, paymentAmount=_NUMBER, paymentType=_TEXT, currencyCode=_TEXT)
    ),
)
_COMMERCE = _object(
    order=_ORDER,
    cart=_object(cartID=_TEXT),
    shipping=_object(shippingMethod=_TEXT, shippingAmount=_NUMBER, currencyCode=_TEXT),
    promotionID=_TEXT,
    **dict.fromkeys(
        (
            "purchases", "checkouts", "productListOpens", "productListReopens", "productListAdds",
            "productListRemovals", "productListViews", "productViews", "cartAbandons",
            "saveForLaters", "inStorePurchase",
        ),
        _MEASURE,
    ),
)  # fmt: skip
_LINK = _object(name=_TEXT, URL=_TEXT, type=_TEXT, region=_TEXT, linkClicks=_MEASURE)
_WEB = _object(
    webPageDetails=_texts(
        "name URL server siteSection", isErrorPage=_FLAG, isHomePage=_FLAG, pageViews=_MEASURE
    ),
    webReferrer=_texts("URL type"),
    webInteraction=_LINK,
)
_ENVIRONMENT = _texts(
    "type operatingSystem operatingSystemVersion operatingSystemVendor carrier connectionType"
    " domain ISP ipV4 ipV6 language",
    colorDepth=_WHOLE,
    viewportHeight=_WHOLE,
    viewportWidth=_WHOLE,
    browserDetails=_texts(
        "acceptLanguage name vendor version userAgent quicktimeVersion javaVersion",
        cookiesEnabled=_FLAG,
        javaEnabled=_FLAG,
        javaScriptEnabled=_FLAG,
        thirdPartyCookiesEnabled=_FLAG,
        viewportHeight=_WHOLE,
        viewportWidth=_WHOLE,
    ),
)
_DEVICE = _texts(
    "typeID typeIDService type manufacturer model modelNumber screenOrientation",
    colorDepth=_WHOLE,
    screenHeight=_WHOLE,
    screenWidth=_WHOLE,
)
_PLACE = _object(localTime=_INSTANT, localTimezoneOffset=_WHOLE, geo=_GEO)
_IMPLEMENTATION = _texts("name version environment")
_CHANNEL = _texts("_id _type contentTypes typeAtSource mediaType mediaAction")
_MARKETING = _texts("campaignGroup campaignName trackingCode")
_SEARCH = _texts("keywords searchEngine", isPaid=_FLAG)

_PROPERTIES: Final[Mapping[str, tuple[str, Mapping[str, Document]]]] = {
    "context/profile-person-details": ("Demographic Details", {"person": _PERSON}),
    "context/profile-personal-details": (
        "Personal Contact Details",
        {
            "homeAddress": _ADDRESS,
            "personalEmail": _EMAIL,
            "homePhone": _PHONE,
            "mobilePhone": _PHONE,
            "faxPhone": _PHONE,
        },
    ),
    "context/profile-work-details": (
        "Work Contact Details",
        {
            "workAddress": _ADDRESS,
            "workEmail": _EMAIL,
            "workPhone": _PHONE,
            "organizations": _list(_TEXT),
        },
    ),
    "context/profile-preferences-details": (
        "Preference Details",
        {
            "preferredLanguage": _TEXT,
            "timeZone": _TEXT,
            "optInOut": {"type": "object", "additionalProperties": _CONSENT},
        },
    ),
    "context/profile-test-profile": ("Profile test details", {"testProfile": _FLAG}),
    "mixins/profile/profile-loyalty-details": ("Loyalty Details", {"loyalty": _LOYALTY}),
    "context/identitymap": ("IdentityMap", {"identityMap": {}}),
    "context/experienceevent-web": ("Web Details", {"web": _WEB}),
    "context/experienceevent-commerce": (
        "Commerce Details",
        {"commerce": _COMMERCE, "productListItems": _list(_ITEM)},
    ),
    "context/experienceevent-channel": ("Channel Details", {"channel": _CHANNEL}),
    "context/experienceevent-marketing": ("Campaign Marketing Details", {"marketing": _MARKETING}),
    "context/experienceevent-search": ("Search Details", {"search": _SEARCH}),
    "context/experienceevent-environment-details": (
        "Environment Details",
        {"device": _DEVICE, "environment": _ENVIRONMENT, "placeContext": _PLACE},
    ),
    "context/experienceevent-implementation-details": (
        "Implementation Details",
        {"implementationDetails": _IMPLEMENTATION},
    ),
    "context/experienceevent-consumer": (
        "Consumer Experience Event",
        {
            "web": _WEB,
            "commerce": _COMMERCE,
            "productListItems": _list(_ITEM),
            "device": _DEVICE,
            "environment": _ENVIRONMENT,
            "placeContext": _PLACE,
            "channel": _CHANNEL,
            "marketing": _MARKETING,
            "search": _SEARCH,
            "implementationDetails": _IMPLEMENTATION,
        },
    ),
}
_WEB_SDK: Final = {
    "web": _WEB,
    "device": _DEVICE,
    "environment": _ENVIRONMENT,
    "placeContext": _PLACE,
    "implementationDetails": _IMPLEMENTATION,
}
_DATA_TYPES: Final[Mapping[str, tuple[str, Document]]] = {
    "context/person": ("Person", _PERSON),
    "context/person-name": ("Person name", _NAME),
    "common/address": ("Postal address", _ADDRESS),
    "context/emailaddress": ("Email address", _EMAIL),
    "context/phonenumber": ("Phone number", _PHONE),
    "common/geo": ("Geo", _GEO),
    "data/measure": ("Measure", _MEASURE),
    "data/order": ("Order", _ORDER),
    "data/commerce": ("Commerce", _COMMERCE),
    "content/productlistitem": ("Product list item", _ITEM),
    "datatypes/loyalty": ("Loyalty", _LOYALTY),
    "context/webinfo": ("Web information", _WEB),
    "context/device": ("Device", _DEVICE),
    "context/environment": ("Environment", _ENVIRONMENT),
    "context/placecontext": ("Place context", _PLACE),
}


def _documents() -> Known:
    record, series = _object(_id=_TEXT), _object(_id=_TEXT, timestamp=_INSTANT)
    known = {
        RECORD: {"title": "Record Schema", **record},
        TIME_SERIES: {"title": "Time-series Schema", **series, "required": ["timestamp"]},
        ADHOC: {"title": "Adhoc Schema", **_object()},
    }
    behaviours = {
        id: {"$id": id, "meta:resourceType": "behaviors", **each} for id, each in known.items()
    }
    groups = {_NS + path: (title, _object(**of)) for path, (title, of) in _PROPERTIES.items()}
    groups["https://ns.adobe.com/experience/aep-web-sdk-experienceevent"] = (
        "AEP Web SDK ExperienceEvent",
        _object(**_WEB_SDK),
    )
    types = {_NS + path: each for path, each in _DATA_TYPES.items()}
    return {
        **behaviours,
        **{id: _document(id, "fieldgroups", *each) for id, each in groups.items()},
        **{id: _document(id, "datatypes", *each) for id, each in types.items()},
    }


def _document(id: str, kind: str, title: str, body: Document) -> Document:
    return {"$id": id, "meta:resourceType": kind, "title": title, **body}


STANDARD: Final[Known] = MappingProxyType(_documents())
