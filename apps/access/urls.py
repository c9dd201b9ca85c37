"""Addresses of units, roles, people and queues. Their pages belong to the console."""

from django.urls import URLPattern, path

from apps.access import api, views

pages: list[URLPattern] = [
    path("scim/v2/Users", api.ScimUsers.as_view(), name="scim-users"),
    path("scim/v2/Users/<uuid:person_id>", api.ScimUser.as_view(), name="scim-user"),
    path("scim/v2/Groups", api.ScimGroups.as_view(), name="scim-groups"),
    path("scim/v2/Groups/<uuid:group_id>", api.ScimGroup.as_view(), name="scim-group"),
    path("scim/v2/ServiceProviderConfig", api.ScimConfig.as_view(), name="scim-config"),
    path("scim/v2/ResourceTypes", api.ScimResourceTypes.as_view(), name="scim-resource-types"),
    path("scim/v2/ResourceTypes/<str:name>", api.ScimResourceTypes.as_view(), name="scim-resource-type"),
    path("scim/v2/Schemas", api.ScimSchemas.as_view(), name="scim-schemas"),
    path("scim/v2/Schemas/<str:name>", api.ScimSchemas.as_view(), name="scim-schema"),
    path("scim/v2/<path:rest>", api.ScimNowhere.as_view(), name="scim-nowhere"),
]
"""What directories call is no page; it stands where they expect it, outside our own API."""

doors = [
    path("login/", views.SignIn.as_view(), name="account_login"),
    path("logout/", views.SignOut.as_view(), name="account_logout"),
    path("password/reset/", views.LostPassword.as_view(), name="account_reset_password"),
    path("emergency/", views.EmergencySignIn.as_view(), name="emergency-sign-in"),
    path("sso/<slug:slug>/", views.begin_sign_on, name="single-sign-on"),
    path("sso/<slug:slug>/callback/", views.end_sign_on, name="single-sign-on-callback"),
    path("saml/<slug:slug>/", views.begin_saml_sign_on, name="saml-sign-on"),
    path("saml/<slug:slug>/acs/", views.take_saml_answer, name="saml-sign-on-acs"),
    path("saml/<slug:slug>/done/", views.end_saml_sign_on, name="saml-sign-on-done"),
    path("saml/<slug:slug>/metadata/", views.saml_metadata, name="saml-sign-on-metadata"),
    path("email/", views.no_such_page, name="account_email"),
    path("reauthenticate/", views.PasswordAgain.as_view(), name="account_reauthenticate"),
    path("2fa/needed/", views.second_factor, name="second-factor"),
    path("2fa/authenticate/", views.Code.as_view(), name="mfa_authenticate"),
    path("2fa/reauthenticate/", views.CodeAgain.as_view(), name="mfa_reauthenticate"),
    path("2fa/totp/activate/", views.SetUpApp.as_view(), name="mfa_activate_totp"),
    path("2fa/totp/deactivate/", views.RemoveApp.as_view(), name="mfa_deactivate_totp"),
    path("2fa/webauthn/", views.Passkeys.as_view(), name="mfa_list_webauthn"),
    path("2fa/webauthn/add/", views.AddPasskey.as_view(), name="mfa_add_webauthn"),
    path("2fa/webauthn/login/", views.SignInByPasskey.as_view(), name="mfa_login_webauthn"),
    path("2fa/webauthn/reauthenticate/", views.PasskeyAgain.as_view(), name="mfa_reauthenticate_webauthn"),
    path("2fa/webauthn/keys/<int:pk>/edit/", views.NamePasskey.as_view(), name="mfa_edit_webauthn"),
    path("2fa/webauthn/keys/<int:pk>/remove/", views.RemovePasskey.as_view(), name="mfa_remove_webauthn"),
    path("2fa/recovery-codes/generate/", views.NewCodes.as_view(), name="mfa_generate_recovery_codes"),
]
"""In the place of allauth's own, under ``/accounts/``."""

endpoints = [
    path("business-units/", api.Units.as_view(), name="units"),
    path("roles/", api.Roles.as_view(), name="roles"),
    path("users/", api.People.as_view(), name="people"),
    path("users/<str:username>/absences/", api.AbsencesOf.as_view(), name="absences"),
    path("me/tokens/", api.OwnTokens.as_view(), name="own-tokens"),
    path("me/tokens/<uuid:token_id>/", api.OwnToken.as_view(), name="own-token"),
    path("me/sessions/", api.OwnSessions.as_view(), name="own-sessions"),
    path("me/sessions/<uuid:ref>/", api.OwnSession.as_view(), name="own-session"),
    path("users/<str:username>/sessions/", api.SessionsOf.as_view(), name="sessions-of"),
    path("me/absences/", api.OwnAbsences.as_view(), name="own-absences"),
    path("absences/<uuid:absence_id>/end/", api.AbsenceEnd.as_view(), name="end-absence"),
    path("rotas/", api.Rotas.as_view(), name="rotas"),
    path("calendars/", api.Calendars.as_view(), name="calendars"),
    path("rotas/<slug:slug>/", api.RotaDetail.as_view(), name="rota"),
    path("calendars/<slug:slug>/", api.CalendarDetail.as_view(), name="calendar"),
    path("queues/", api.Queues.as_view(), name="queues"),
]
