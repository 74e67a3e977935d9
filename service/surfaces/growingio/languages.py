"""What callers are told in Chinese or in English, by their header ``language``: CH or US.

What is said in Chinese has no English in it but names that callers gave; the English words stand
beside it as ``detail``, since they alone say of everything what would be right.
"""

from __future__ import annotations

import re
from enum import StrEnum

from aiohttp import web

from catalog import errors
from catalog.jobs import JobState
from catalog.user_lists import UserList

#: The documents' name for the header.
HEADER = "language"


class Language(StrEnum):
    CHINESE = "CH"  # also of whoever asks for none, or for one there is not
    ENGLISH = "US"


#: What things are called that can be missing.
_THINGS = {
    "project": "项目",
    "space": "空间",
    "space of project": "项目中的空间",
    "segment": "分群",
    "property": "属性",
    "identity": "用户身份",
    "user property": "用户属性",
    "tag": "用户标签",
    "user list": "导出任务",
    "file": "文件",
    "personal token": "Token",
    "sandbox": "项目",
    "enterprise": "企业",
}

#: What parts of a request are called of which no field is wrong, but the whole.
_PARTS = {
    "the body": "请求体",
    "the form": "表单",
    "the query": "查询参数",
    "document": "请求体",
    "documents": "请求体",
}
_A_HEADER = "the header "

#: What a refusal says, by its class; the class that is nearest counts.
_SENTENCES: dict[type[errors.Refusal], str] = {
    errors.Refusal: "请求被拒绝",
    errors.NotFound: "对象不存在",
    errors.Conflict: "当前状态不允许该操作",
    errors.AlreadyExists: "名称或标识符已被使用",
    errors.Invalid: "请求无效",
    errors.TooLarge: "请求体过大",
    errors.AddressTooLong: "请求地址过长",
    errors.KeyReused: "幂等键已用于其他请求",
    errors.TooManyIdentities: "该用户关联的身份过多",
    errors.TooSlow: "请求超时",
    errors.Unauthenticated: "身份认证失败",
    errors.MissingCredentials: "缺少访问凭证",
    errors.InvalidToken: "Token 无效或已过期",
    errors.Forbidden: "没有权限",
    errors.Limited: "请求过于频繁,请稍后重试",
    errors.TooManyJobs: "排队任务过多,请稍后重试",
    errors.Unavailable: "服务暂时不可用,请稍后重试",
    errors.OutcomeUnknown: "请求结果未知,请先查询再重试",
}

#: Why exports fail, by the codes of their errors; with what the English words name, in order.
_FAILURES = {
    "segment_not_computed": ("分群尚未计算,请先触发计算再导出", r""),
    "property_deleted": ("导出字段 {} 已被删除,请去掉后重新导出", r"(.+) was deleted"),
    "invalid_field": (
        "字符集 {} 不支持字符 {},出现在 {};请改用 UTF-8 或 GB18030",
        r"charset: (\S+) lacks the character (.+), which (?:the name of )?(.+) has",
    ),
    "storage_full": ("导出失败:存储空间不足", r""),
    "storage_failed": ("导出失败:存储读写失败", r""),
}

#: What the HTTP library refuses by itself, by status.
_STATUSES = {
    404: "路径不存在",
    405: "该路径不支持此请求方法",
    416: "请求的字节范围超出文件大小",
}


def language_of(request: web.Request) -> Language:
    """The language a caller asks for."""
    asked = request.headers.get(HEADER, "").strip().upper()
    return Language.ENGLISH if asked == Language.ENGLISH else Language.CHINESE


def explained(refusal: errors.Refusal, language: Language) -> str:
    """Say in a language what a refusal says."""
    if language is Language.ENGLISH:
        return str(refusal)
    said = _particular(refusal)
    if said is not None:
        return said
    return next(_SENTENCES[kind] for kind in type(refusal).__mro__ if kind in _SENTENCES)


def _particular(refusal: errors.Refusal) -> str | None:
    """Say in Chinese a refusal that names what is wrong otherwise than in words."""
    match refusal:
        case errors.NotFound():
            return f"{_THINGS.get(refusal.kind, refusal.kind)} {refusal.id} 不存在"
        case errors.TooManyProperties():
            return f"查询失败:最多可选 {refusal.most} 个属性,当前为 {refusal.count} 个"
        case errors.UnknownProperties():
            return f"属性不存在或未授权:{'、'.join(key or repr(key) for key in refusal.keys)}"
        case errors.InvalidField():
            return f"{_part(refusal.field)} 无效"
        case errors.InsufficientScope():
            return f"没有权限:需要 {refusal.needed}"
    return None


def _part(field: str) -> str:
    """Name in Chinese what of a request is wrong."""
    if field.startswith(_A_HEADER):
        return f"请求头 {field.removeprefix(_A_HEADER)}"
    return _PARTS.get(field) or f"参数 {field}"


def outcome(found: UserList, language: Language) -> str | None:
    """Say in a language why an export has no file; None of one that has, or may have yet."""
    if found.message is None or language is Language.ENGLISH:
        return found.message
    if found.job.state is JobState.CANCELLED:
        return "任务已取消"
    if found.job.state is JobState.SUCCEEDED:
        return "文件已过期并被清理,请重新导出"
    code = found.job.errors[-1].code if found.job.errors else ""
    sentence, names = _FAILURES.get(code, ("导出失败", r""))
    named = re.match(names, found.message)
    return sentence.format(*named.groups()) if named else "导出失败"


def computation_triggered(language: Language) -> str:
    """What is said of a computation that was queued."""
    return "触发计算成功" if language is Language.CHINESE else "the computation was triggered"


def failure(message: str, status: int, language: Language) -> str:
    """Say that the service itself failed, or that the HTTP library refused a call."""
    return _STATUSES.get(status, "查询失败") if language is Language.CHINESE else message
