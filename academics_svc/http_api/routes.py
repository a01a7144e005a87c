"""All routes of this door."""

from academics_svc.http_api.calendars import CalendarApi
from academics_svc.http_api.courses import CourseApi
from academics_svc.http_api.desk import Desk
from academics_svc.http_api.imports import ImportApi
from academics_svc.http_api.links import LinkApi
from academics_svc.http_api.members import MemberApi
from academics_svc.http_api.parts import PartApi
from academics_svc.http_api.schools import SchoolApi
from infra.http_routes import AnyRoute


def routes(desk: Desk) -> list[AnyRoute]:
    """Return every route of academics_svc."""
    return [
        *SchoolApi(desk).routes(),
        *PartApi("classroom", desk).routes(),
        *PartApi("group", desk).routes(),
        *MemberApi(desk).routes(),
        *CourseApi(desk).routes(),
        *ImportApi(desk).routes(),
        *CalendarApi(desk).routes(),
        *LinkApi("teacher", desk).routes(),
        *LinkApi("group", desk).routes(),
        *LinkApi("classroom", desk).routes(),
    ]
