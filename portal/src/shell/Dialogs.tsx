import { LoginDialog } from "../session/LoginDialog";
import { ConfirmDialog } from "../ui/ConfirmDialog";

/** The dialogs that can come up on any page. */
export default function Dialogs() {
  return (
    <>
      <LoginDialog />
      <ConfirmDialog />
    </>
  );
}
